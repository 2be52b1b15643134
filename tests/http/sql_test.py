#!/usr/bin/env python3
"""SQL over HTTP from outside: what it answers, to whom, and what a client may not do to it.

sql_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import csv
import gzip
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from door import WebServer, basic
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
import authority
import processes
from protocol import PASSWORD, eventually, run

MOAT = sys.argv[1]
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
CLEAR = "login.insecure_loopback=true"
LIST = """SELECT "user", protocol, state, statement FROM moat_system.running_queries WHERE statement NOT LIKE '%running_queries%'"""


def served(*settings, **options):
    return WebServer(MOAT, CLEAR, *settings, **options)


def values_are_exact():
    with served() as server:
        got = server.sql_over("SELECT 9007199254740993 AS big, 1.10::DECIMAL(9,2) AS d, 'é\"\n' AS t, NULL AS n, true AS b, 1e300 AS f, "
                              "'nan'::DOUBLE AS nan, [1, NULL] AS l, {'a': 1} AS s, '\\xff'::BLOB AS x, DATE '2024-02-29' AS day, "
                              "TIMESTAMPTZ '2024-01-01 00:00:00+01' AS at, TIMESTAMPTZ_NS '2024-01-01 00:00:00.123456789+01' AS exactly")
        assert [c["type"] for c in got["columns"]][:4] == ["BIGINT", "DECIMAL(9,2)", "VARCHAR", "INTEGER"], got["columns"]
        assert got["rows"] == [[9007199254740993, 1.1, 'é"\n', None, True, 1e300, "NaN", [1, None], {"a": 1}, "\\xff", "2024-02-29",
                                "2023-12-31 23:00:00+00", "2023-12-31 23:00:00.123456789+00"]], got["rows"]
        raw = server.ask("POST", "/v1/sql", {"sql": "SELECT 1.10::DECIMAL(9,2), 9007199254740993, 5::INTEGER", "numbers": "text"})[1]
        assert raw["rows"] == [["1.10", "9007199254740993", 5]] and raw["row_count"] == 1 and raw["tag"] == "SELECT"
        got = server.sql_over("SELECT $1 AS t, $2::INTEGER + 1 AS i, $3 AS b, $4 AS n, $5 AS r", "x'y", 41, False, None, 1.5)
        assert got["rows"] == [["x'y", 42, False, None, 1.5]], got


def formats():
    with served() as server:
        sql = "SELECT i, CASE WHEN i % 2 = 0 THEN 'a,\"b' END AS t, '' AS e FROM range(3000) r(i)"
        status, body, answer = server.ask("POST", "/v1/sql", {"sql": sql, "format": "csv"})
        rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
        assert status == 200 and rows[0] == ["i", "t", "e"] and rows[1] == ["0", 'a,"b', ""] and rows[2] == ["1", "", ""] and len(rows) == 3001
        assert answer.getheader("Transfer-Encoding") == "chunked" and len(answer.getheader("X-Moat-Query-Id")) == 36
        status, body, answer = server.ask("POST", "/v1/sql", sql, headers={"Content-Type": "application/sql", "Accept": "application/x-ndjson"})
        lines = [json.loads(line) for line in body.splitlines()]
        assert status == 200 and len(lines) == 3000 and lines[2] == {"i": 2, "t": 'a,"b', "e": ""}
        status, body, answer = server.ask("POST", "/v1/sql", {"sql": sql}, headers={"Accept-Encoding": "gzip"})
        assert answer.getheader("Content-Encoding") == "gzip" and answer.getheader("Vary") == "Accept-Encoding"
        assert len(json.loads(gzip.decompress(body))["rows"]) == 3000 and len(body) < 20000
        status, body, answer = server.ask("POST", "/v1/sql", {"sql": sql, "format": "arrow"})
        try:
            import pyarrow
        except ImportError:
            print("skipped: pyarrow is not here")
        else:
            table = pyarrow.ipc.open_stream(body).read_all()
            assert table.num_rows == 3000 and table.column("i").to_pylist()[-1] == 2999
        assert server.ask("POST", "/v1/sql", {"sql": "SELECT 1", "format": "xml"})[0] == 400


def errors_say_where():
    with served(setup="CREATE VIEW v AS SELECT 1 AS x; GRANT SELECT ON v TO USER amelia; CREATE VIEW w AS SELECT 1 AS x") as server:
        error = server.sql_over("SELECT 'é', nope FROM v", status=400)["error"]
        assert error["sqlstate"] == "42703" and error["position"] == 13 and "nope" in error["message"] and error["hint"], error
        assert server.sql_over("SELECT * FROM w", status=400)["error"]["sqlstate"] == "42P01"
        assert server.sql_over("CREATE USER eve", status=403)["error"]["sqlstate"] == "42501"
        assert server.sql_over("SELECT 1; SELECT 2", status=400)["error"]["sqlstate"] == "42601"
        assert server.sql_over("", status=400)["error"]["sqlstate"] == "42601"
        assert server.sql_over("SELECT $1", [1], status=400)["error"]["sqlstate"] == "22023"
        assert server.ask("POST", "/v1/sql", {"sql": "SELECT 1", "nope": 1})[0] == 400
        assert server.ask("POST", "/v1/sql", {"sql": "SELECT 1", "session": {"catalog": "nope", "schema": "x"}})[0] == 400
        assert server.ask("POST", "/v1/sql", "sql=SELECT 1", headers={"Content-Type": "application/x-www-form-urlencoded"})[0] == 400
        assert server.ask("POST", "/v1/sql", b'{"sql": "\xff"}', headers={"Content-Type": "application/json"})[0] == 400
        assert server.ask("GET", "/v1/sql")[0] == 405 and server.ask("GET", "/v1/nothing")[0] == 404
        # An error behind rows that were sent: JSON says it, the others end without an end.
        late = "SELECT CAST(CASE WHEN i < 600000 THEN '1' ELSE 'late' END AS INTEGER) AS x, repeat('x', 100) AS t FROM range(601000) r(i)"
        status, body, _ = server.ask("POST", "/v1/sql", {"sql": late})
        assert status == 200 and body["rows"][0][0] == 1 and "error" in body, str(body)[-200:]
        try:
            server.ask("POST", "/v1/sql", {"sql": late, "format": "csv"})
            raise AssertionError("a torn answer looked whole")
        except http.client.IncompleteRead:
            pass


def a_session_is_of_one_request():
    with served() as server:
        body = {"session": {"catalog": "moat", "schema": "moat_system", "settings": {"query.rows_max": 5}}}
        assert server.sql_over("SELECT current_schema", body=body)["rows"] == [["moat_system"]]
        assert server.sql_over("SELECT * FROM range(10)", body=body, status=422)["error"]["sqlstate"] == "54000"
        assert server.sql_over("SELECT current_schema")["rows"] == [["main"]]
        settings = {"session": {"settings": {"query.rows_max = 1; DROP": 5}}}
        assert server.sql_over("SELECT 1", body=settings, status=400)["error"]["sqlstate"] == "22023"


def who_asks():
    with served("login.account_tries=3", setup=f"CREATE USER eve PASSWORD '{PASSWORD}'") as server:
        status, body, answer = server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, user=None)
        assert status == 401 and "Basic" in answer.getheader("WWW-Authenticate") and body["error"]["sqlstate"] == "28000"
        for header in ("Basic !!!!", "Basic YQ==", "Bearer ", "Digest x", "Basic " + "A" * 60000):
            assert server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, headers={"Authorization": header})[0] in (401, 431), header
        key = [line for line in server.sql("CREATE API KEY script FOR USER amelia").splitlines() if "moat_" in line][0].split(",")
        key = [part for part in key if part.startswith("moat_") and len(part) > 40][0]
        got = server.ask("POST", "/v1/sql", {"sql": "SELECT current_user"}, headers={"Authorization": "Bearer " + key})
        assert got[0] == 200 and got[1]["rows"] == [["amelia"]], got
        # One connection, two people: each answer is of who asked.
        connection = server.open()
        for user in ("amelia", "eve", "amelia"):
            assert server.sql_over("SELECT current_user", user=user, connection=connection)["rows"] == [[user]]
        assert server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, user=None, connection=connection)[0] == 401
        # Names that exist and names that do not are told apart by nothing; too many tries are.
        wrong = [server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, user=user, password="x")[:2] for user in ("eve", "nobody")]
        assert wrong[0] == wrong[1] and wrong[0][0] == 401
        codes = [server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, user="eve", password="x")[0] for _ in range(4)]
        assert codes[-1] == 429, codes
        audit = server.sql("SELECT client FROM moat_system.audit WHERE client LIKE '%http%'")
        assert " http" in audit, audit


def in_the_clear_nothing_secret_is_taken():
    with WebServer(MOAT) as server:
        status, body, _ = server.ask("POST", "/v1/sql", {"sql": "SELECT 1"})
        assert status == 401 and "in the clear" in body["error"]["message"]


def over_tls():
    folder = tempfile.mkdtemp(prefix="moat-web-")
    pem, key = authority.certificate(folder, "server")
    with WebServer(MOAT, *authority.tls_settings(pem, key), "server.tls=required") as server:
        assert server.sql_over("SELECT 42")["rows"] == [[42]]
        assert server.raw(b"GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 400")
        if shutil.which("curl"):
            done = subprocess.run(["curl", "-sS", "--cacert", pem, "--no-alpn", "-u", f"amelia:{PASSWORD}", "-H", "Content-Type: application/sql",
                                   "--data-binary", "SELECT 42 AS x", "-H", "Accept: text/csv", f"https://127.0.0.1:{server.web_port}/v1/sql"],
                                  capture_output=True, text=True, check=True)
            assert done.stdout == "x\n42\n", done  # as Python reads it
    shutil.rmtree(folder)


def pages_of_other_sites_get_nothing():
    with served() as server:
        status, _, answer = server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, headers={"Origin": "https://evil.example"})
        assert status == 403 and answer.getheader("Access-Control-Allow-Origin") is None
        assert server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, headers={"Origin": "null"})[0] == 403
        assert server.ask("POST", "/v1/sql", {"sql": "SELECT 1"}, headers={"Origin": f"http://127.0.0.1:{server.web_port}"})[0] == 200
        status, _, answer = server.ask("OPTIONS", "/v1/sql", user=None, headers={"Origin": "https://evil.example"})
        assert status == 204 and "POST" in answer.getheader("Allow") and answer.getheader("Access-Control-Allow-Origin") is None


def pages(server, start, **options):
    rows, token = [], start
    while token:
        status, page, _ = server.ask("GET", token, **options)
        assert status == 200, (status, page)
        rows += page["rows"]
        if "error" in page:
            raise AssertionError(page["error"])
        token = page.get("next")
    return rows


def a_query_outlives_its_request():
    with served(setup=f"CREATE USER eve PASSWORD '{PASSWORD}'") as server:
        begun = server.sql_over("SELECT i, 'row ' || i AS t FROM range(200000) r(i)", body={"async": True}, status=202)
        path = "/v1/queries/" + begun["id"]
        assert server.ask("GET", path, user="eve")[0] == 404 and server.ask("DELETE", path, user="eve")[0] == 404
        assert server.ask("GET", path[:-1] + ("0" if path[-1] != "0" else "1"))[0] == 404
        first = server.ask("GET", begun["next"] + "?wait=20000")[1]
        again = server.ask("GET", begun["next"])[1]
        assert first["rows"] == again["rows"] and first["columns"] == [{"name": "i", "type": "BIGINT"}, {"name": "t", "type": "VARCHAR"}]
        assert server.ask("GET", path + "/results/7")[0] == 404
        rows = first["rows"] + pages(server, first["next"])
        assert [row[0] for row in rows] == list(range(200000)) and rows[-1][1] == "row 199999"
        state = server.ask("GET", path)[1]
        assert state["state"] == "done" and state["row_count"] == 200000, state
        assert server.ask("DELETE", path)[0] == 204 and server.ask("GET", path)[0] == 404
        # One that fails, one that has no rows.
        begun = server.sql_over("SELECT nope", body={"async": True}, status=202)
        page = server.ask("GET", begun["next"])[1]
        assert page["state"] == "failed" and page["error"]["sqlstate"] == "42703" and "next" not in page, page
        begun = server.sql_over("CREATE TEMP TABLE t (a INTEGER)", body={"async": True}, status=202)
        page = server.ask("GET", begun["next"])[1]
        assert page["state"] == "done" and page["tag"] == "CREATE TABLE" and "columns" not in page and "next" not in page, page


def running(server):
    return [line for line in server.sql(LIST).splitlines()[1:] if line]


def hosts_step_back():
    """All threads of a host have the nice value that is set; the server's own have none."""
    for settings, nice in (((), 5), (("engine.host_niceness=0",), 0)):
        with served(*settings) as server:
            assert server.sql_over("SELECT sum(i) FROM range(1000000) t(i)")["rows"]
            of_hosts = lambda: [value for pid in processes.children(server.process.pid) for value in processes.niceness(pid).values()]
            eventually(lambda: len(of_hosts()) > 2 and set(of_hosts()) == {nice})  # one may be starting
            assert 0 in processes.niceness(server.process.pid).values()


def who_goes_away_frees_the_engine():
    with served() as server:
        # A client that closes, one that deletes, one that is stopped by its owner from elsewhere.
        client = socket.create_connection(("127.0.0.1", server.web_port), 60)
        body = json.dumps({"sql": LONG}).encode()
        client.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s"
                       % (basic("amelia", PASSWORD).encode(), len(body), body))
        lister = server.open()

        def listed():
            return server.sql_over(LIST, connection=lister)["rows"]

        eventually(lambda: [row[1] for row in listed()] == ["http"])
        assert listed()[0][0] == "amelia" and listed()[0][3] == LONG
        client.close()
        eventually(lambda: listed() == [])
        eventually(server.is_quiet)
        begun = server.sql_over(LONG, body={"async": True}, status=202)
        eventually(lambda: len(listed()) == 1)
        assert server.ask("DELETE", "/v1/queries/" + begun["id"])[0] == 204
        eventually(lambda: listed() == [])
        eventually(server.is_quiet)
        begun = server.sql_over(LONG, body={"async": True}, status=202)
        eventually(lambda: len(listed()) == 1)
        pid = server.sql_over("SELECT pid FROM moat_system.running_queries WHERE statement LIKE '%100000000000%' AND statement NOT LIKE '%running%'")["rows"][0][0]
        assert server.sql_over(f"SELECT pg_terminate_backend({pid})")["rows"] == [[True]]
        page = server.ask("GET", begun["next"] + "?wait=20000")[1]
        assert page["error"]["sqlstate"] == "57P01", page
        # One that is timed out.
        error = server.sql_over(LONG, body={"session": {"settings": {"query.timeout": "300ms"}}}, status=504)["error"]
        assert error["sqlstate"] == "57014", error


def who_does_not_read_holds_up_only_the_scan():
    rows = "SELECT repeat('x', 1000) AS t, i FROM range(3000000) r(i)"
    with served() as server:
        server.sql_over("SELECT 1")
        before = server.resident()
        body = json.dumps({"sql": rows, "format": "csv"}).encode()
        clients = []
        for _ in range(4):
            client = socket.create_connection(("127.0.0.1", server.web_port), 60)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s"
                           % (basic("amelia", PASSWORD).encode(), len(body), body))
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            clients.append(client)
        kept = [server.sql_over(rows, body={"async": True}, status=202) for _ in range(4)]
        for begun in kept:
            assert server.ask("GET", begun["next"] + "?wait=20000")[1]["row_count"] > 0
        eventually(server.is_quiet)
        grown = server.resident() - before
        time.sleep(2)
        more = server.resident() - before - grown
        assert grown < 256 << 20 and more < 8 << 20, f"{grown >> 20} MiB, then {more >> 20} more"
        eventually(server.is_quiet)
        assert server.sql_over("SELECT 1")["rows"] == [[1]]
        for client in clients:
            client.close()


def fifty_people_with_different_rights():
    people = 50
    setup = "CREATE VIEW base AS SELECT i, i % 50 AS person, 'secret ' || i AS s FROM range(1000) r(i); "
    for i in range(people):
        mask = ", s = 'hidden'" if i % 2 else ""
        setup += f"CREATE USER p{i} PASSWORD '{PASSWORD}'; GRANT SELECT ON base TO USER p{i} ROWS WHERE person = {i}"
        setup += f" MASKED WITH ({mask[2:]}); " if mask else "; "
    wrong = []

    def ask_one(server, i):
        try:
            ask_often(server, i)
        except Exception as error:
            wrong.append((i, repr(error)))

    def ask_often(server, i):
        connection = server.open(150)
        for _ in range(3):
            got = server.sql_over("SELECT i, person, s FROM base ORDER BY i", user=f"p{i}", connection=connection)["rows"]
            want = [[n, i, "hidden" if i % 2 else f"secret {n}"] for n in range(i, 1000, 50)]
            if got != want:
                wrong.append((i, got[:2]))
        connection.close()

    with served("login.refusal_time=0", "query.queue_timeout=120s", setup=setup) as server:
        threads = [threading.Thread(target=ask_one, args=(server, i)) for i in range(people)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong[:3]


def requests_that_are_none():
    head = b"POST /v1/sql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: " + basic("amelia", PASSWORD).encode() + b"\r\n"
    cases = {
        head + b"Content-Length: 18\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": b"400",
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n": b"400", head + b"Transfer-Encoding: gzip\r\n\r\n": b"501",
        head + b"Content-Length: 99999999999\r\n\r\n": b"413", head + b"Content-Length: -1\r\n\r\n": b"400",
        head + b"Expect: nothing\r\nContent-Length: 1\r\n\r\n1": b"417",
        b"POST /v1/sql HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n": b"431",
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * (1 << 21): b"413",
    }
    with served("server.login_timeout=4s") as server:
        for data, code in cases.items():
            got = server.raw(data, 3)
            assert got.startswith(b"HTTP/1.1 " + code), (data[:100], got[:100])
        # In chunks, with a pause; then a pipeline.
        one = b'{"sql": "SELECT 41 + 1 AS x"}'
        got = server.raw(head + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % c for c in one) + b"0\r\n\r\n", 8)
        assert got.startswith(b"HTTP/1.1 ") and b"[42]" in got, got[:200]
        whole = head + b"Content-Length: %d\r\n\r\n" % len(one) + one
        assert server.raw(whole * 20, 10).count(b"[42]") == 20
        # Nobody who has not signed in stays.
        with socket.create_connection(("127.0.0.1", server.web_port), 60) as client:
            begun = time.time()
            client.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
            while client.recv(65536):
                pass
            assert time.time() - begun < 30
        # One byte now and then.
        with socket.create_connection(("127.0.0.1", server.web_port), 60) as client:
            begun = time.time()
            got = b""
            client.settimeout(0.2)
            for byte in head * 3:
                try:
                    client.sendall(bytes([byte]))
                    got += client.recv(65536)
                    if got:
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            assert time.time() - begun < 30
        assert server.sql_over("SELECT 1")["rows"] == [[1]]


def types_of(schema, document):
    if "$ref" in schema:
        node = document
        for part in schema["$ref"].lstrip("#/").split("/"):
            node = node[part]
        return node
    return schema


def check(value, schema, document, at="$"):
    """As much of JSON Schema as the document uses."""
    schema = types_of(schema, document)
    for part in schema.get("allOf", []):
        check(value, part, document, at)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    if isinstance(schema.get("type"), str):
        assert isinstance(value, kinds[schema["type"]]), (at, schema["type"], value)
    if "enum" in schema:
        assert value in schema["enum"], (at, value)
    if isinstance(value, dict):
        for name in schema.get("required", []):
            assert name in value, (at, name, value)
        if "properties" in schema and "allOf" not in schema and "rows" not in value:
            unknown = set(value) - set(schema["properties"])
            assert not unknown, (at, unknown)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                check(value[name], inner, document, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for item in value:
            check(item, schema["items"], document, at + "[]")


def the_openapi_document_is_true():
    with served() as server:
        status, document, answer = server.ask("GET", "/v1/openapi.json", user=None)
        assert status == 200 and document["openapi"].startswith("3.1")
        schemas = document["components"]["schemas"]
        # Every path and method that it names is there, and no other method is.
        begun = server.sql_over("SELECT 1 AS x", body={"async": True}, status=202)
        for path, item in document["paths"].items():
            real = path.replace("{id}", begun["id"]).replace("{page}", "0")
            allow = server.ask("OPTIONS", real, user=None)[2].getheader("Allow").split(", ")
            methods = {method.upper() for method in item if method != "parameters"}
            assert set(allow) - {"OPTIONS", "HEAD"} - ({"DELETE"} if "page" in path else set()) == methods, (path, allow)
        # What is answered has the shape that it says, for each schema.
        check(begun, schemas["Query"], document)
        check(server.ask("GET", begun["next"])[1], schemas["Page"], document)
        check(server.ask("GET", "/v1/queries/" + begun["id"])[1], schemas["Query"], document)
        check(server.sql_over("SELECT 1 AS x"), schemas["Result"], document)
        check(server.ask("GET", "/v1/session", user=None)[1], schemas["Session"], document)
        check(server.ask("POST", "/v1/session", {"user": "amelia", "password": PASSWORD}, user=None, headers={"X-Moat-CSRF": "x"})[1], schemas["Session"], document)
        check(server.sql_over("SELECT nope", status=400), types_of({"$ref": "#/components/responses/Error"}, document)["content"]["application/json"]["schema"], document)
        # Every member of a request that it names is taken, and no other.
        every = {"sql": "SELECT $1", "parameters": [1], "session": {"catalog": "moat", "schema": "main", "settings": {"query.rows_max": 5}},
                 "format": "json", "numbers": "exact", "async": False}
        assert set(every) == set(schemas["Statement"]["properties"])
        assert server.ask("POST", "/v1/sql", every)[0] == 200
        for format_name in schemas["Statement"]["properties"]["format"]["enum"]:
            status, _, answer = server.ask("POST", "/v1/sql", {"sql": "SELECT 1 AS x", "format": format_name})
            kind = answer.getheader("Content-Type").partition(";")[0]
            assert kind in document["paths"]["/v1/sql"]["post"]["responses"]["200"]["content"], kind
        assert server.ask("POST", "/v1/sql", {**every, "more": 1})[0] == 400


def a_stop_ends_what_is_kept():
    with served("server.drain_timeout=1s") as server:
        for _ in range(3):
            server.sql_over(LONG, body={"async": True}, status=202)
        begun = time.time()
        assert server.stop() == 0 and time.time() - begun < 40


if __name__ == "__main__":
    sys.exit(run([values_are_exact, formats, errors_say_where, a_session_is_of_one_request, who_asks, in_the_clear_nothing_secret_is_taken, over_tls,
                  pages_of_other_sites_get_nothing, a_query_outlives_its_request, hosts_step_back, who_goes_away_frees_the_engine,
                  who_does_not_read_holds_up_only_the_scan, fifty_people_with_different_rights, requests_that_are_none,
                  the_openapi_document_is_true, a_stop_ends_what_is_kept], sys.argv[2:]))
