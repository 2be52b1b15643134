#!/usr/bin/env python3
"""`moat --connect`: each door of a server, and the program on the warehouse itself, give one answer.

connect_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import array
import ctypes.util
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../http"), os.path.join(HERE, "../wire")]
import authority
import hostile
from door import WebServer
from protocol import PASSWORD, eventually, run

MOAT = sys.argv[1]
CLEAR = "login.insecure_loopback=true"
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
RUNNING = "SELECT count(*) FROM moat_system.running_queries WHERE statement LIKE '%range(1000%' AND statement NOT LIKE '%running_queries%'"
TYPES = """SELECT 1::SMALLINT AS a, 2147483647 AS b, 9007199254740993 AS c, -1.10::DECIMAL(9,2) AS d, 1.5::DOUBLE AS e, DATE '2024-02-29' AS f,
    TIMESTAMP '1969-12-31 23:59:59.5' AS g, TIMESTAMPTZ '2024-01-01 00:00:00+01' AS h, TIME '01:02:03' AS i, 'é"\n,' AS j, true AS k, NULL AS l,
    'infinity'::DATE AS m, '' AS n, DATE '1582-10-04' AS o, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID AS p"""


class Doors(WebServer):
    def start(self, *settings):
        super().start("server.flight_port=0", *settings)
        self.flight_port = int(re.search(r"port (\d+) of", self.process.stdout.readline()).group(1))
        self.secret("password", PASSWORD)

    def secret(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.chmod(path, 0o600)
        return path

    def url(self, door, user="amelia", path="", host="localhost"):
        port = self.flight_port if door.startswith("grpc") else {"postgres": self.port, "http": self.web_port, "https": self.web_port}[door]
        return f"{door}://{user}@{host}:{port}{path}"

    def over(self, door, *arguments, user="amelia", secret=None, path="", host="localhost", code=0, stdin=None):
        secret = secret or ("--password-file", os.path.join(self.folder, "password"))
        done = subprocess.run([MOAT, "--connect", self.url(door, user, path, host), *secret, *arguments], env=self.environment, capture_output=True,
                              text=True, timeout=120, input=stdin)
        assert done.returncode == code, (door, arguments, done)
        return done.stdout if code == 0 else done.stderr

    def here(self, *arguments):
        return subprocess.run([MOAT, "--warehouse", self.folder + "/warehouse", "--as", "amelia", *arguments], env=self.environment,
                              capture_output=True, text=True, check=True).stdout


try:
    import pyarrow.parquet
    from pyarrow import flight
except ImportError:
    pyarrow = None
DOORS = ["http", "grpc"] + (["postgres"] if ctypes.util.find_library("pq") else [])
if "postgres" not in DOORS:
    print("skipped: postgres:// for want of libpq")
if pyarrow is None:
    print("skipped: progress and other servers for want of pyarrow")


def served(*settings, **options):
    return Doors(MOAT, CLEAR, *settings, **options)


def every_format_is_the_same():
    with served() as server:
        for form in ("table", "csv", "json", "jsonl", "markdown"):
            here = server.here("--format", form, "-c", TYPES)
            for door in DOORS:
                assert server.over(door, "--format", form, "-c", TYPES) == here, (door, form, server.over(door, "--format", form, "-c", TYPES), here)
        for door in DOORS:
            assert server.over(door, "--format", "csv", "--no-header", "-c", "SELECT i, i::VARCHAR FROM range(50000) r(i)") == \
                "".join(f"{i},{i}\n" for i in range(50000)).replace("\n", server.here("--format", "csv", "--no-header", "-c", "SELECT 0")[1:]), door
            assert server.over(door, "--format", "csv", "-c", "SELECT 1 AS x WHERE false").strip() == "x"
            # A dictionary with each batch, and one within a list.
            moods = "SELECT (['a', 'b'][i % 2 + 1])::ENUM('a', 'b') AS e, [e] AS l FROM range(100000) r(i)"
            assert server.over(door, "--format", "csv", "-c", moods) == server.here("--format", "csv", "-c", moods), door
            assert "3 rows" in server.over(door, "--format", "table", stdin="SELECT * FROM range(3);\n")
            assert "parquet" in server.over(door, "--format", "parquet", "-o", "x.parquet", "-c", "SELECT 1", code=1)


def errors_say_where():
    with served(setup="CREATE VIEW v AS SELECT 1 AS x; GRANT SELECT ON v TO USER amelia") as server:
        for door in DOORS:
            text = server.over(door, "-c", "SELECT 'é',\n nope FROM v", code=1)
            assert "42703" in text and "LINE 2:  nope" in text and text.splitlines()[2].index("^") == text.splitlines()[1].index("nope"), text
            text = server.over(door, "--keep-going", "-c", "SELECT 1 FROM w; SELECT 42", code=1)
            assert "42P01" in text, text
            late = "SELECT CAST(CASE WHEN i < 600000 THEN '1' ELSE 'late' END AS INTEGER) AS x, repeat('x', 100) AS t FROM range(601000) r(i)"
            assert "ERROR" in server.over(door, "--format", "csv", "-o", "/dev/null", "-c", late, code=1), door


def state_lasts_where_there_is_some():
    with served() as server:
        script = ("--format", "csv", "--no-header", "-c", "CREATE TEMP TABLE t AS SELECT 7 AS x; SELECT x FROM t")
        if "postgres" in DOORS:
            assert server.over("postgres", *script).strip() == "7"
        assert server.over("grpc", *script).strip() == "7"
        assert "42P01" in server.over("http", *script, code=1)
        made = "CREATE TEMP TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2); UPDATE t SET x = x + 1; DELETE FROM t WHERE x = 3; SELECT * FROM t"
        tags = {door: server.over(door, "--format", "table", "-c", made) for door in DOORS if door != "http"}
        assert tags["grpc"] == server.here("--format", "table", "-c", made) and set(tags.values()) == {tags["grpc"]}, tags
        held = "CREATE TEMP TABLE t AS SELECT 1 AS x; BEGIN; INSERT INTO t VALUES (2); {}; SELECT count(*) AS n FROM t"
        for end, rows in (("ROLLBACK", "1"), ("COMMIT", "2")):
            assert server.over("grpc", "--format", "csv", "--no-header", "-c", held.format(end)).strip() == rows, end
        # After an error nothing of a transaction is left.
        text = server.over("grpc", "--format", "csv", "--keep-going", "-c", held.format("INSERT INTO t SELECT CAST('x' AS INTEGER) FROM t; COMMIT"), code=1)
        assert "22P02" in text and "40001" in text, text
        assert "25P01" in server.over("grpc", "-c", "COMMIT", code=1) and "25001" in server.over("grpc", "-c", "BEGIN; BEGIN", code=1)
        for door in ("http", "grpc"):
            assert server.over(door, "--format", "csv", "--no-header", "-c", "SELECT current_schema", path="/moat/moat_system").strip() == "moat_system"


def who_asks():
    with served(setup=f"CREATE USER eve PASSWORD '{PASSWORD}'") as server:
        key = [part for line in server.sql("CREATE API KEY script FOR USER amelia").splitlines() for part in line.split(",")
               if part.startswith("moat_") and len(part) > 40][0]
        token = ("--token-file", server.secret("key", key))
        wrong = ("--password-file", server.secret("wrong", "wrong"))
        for door in DOORS:
            me = ("--format", "csv", "--no-header", "-c", "SELECT current_user")
            assert server.over(door, *me).strip() == "amelia" and server.over(door, *me, user="eve").strip() == "eve"
            assert server.over(door, *me, secret=token).strip() == "amelia"
            assert server.over(door, *me, secret=("--password-file", "-"), stdin=PASSWORD + "\n").strip() == "amelia"
            first, second = (server.over(door, *me, secret=wrong, user=user, code=3) for user in ("amelia", "nobody"))
            assert first.replace("amelia", "X") == second.replace("nobody", "X") and "28" in first, (first, second)
        os.chmod(server.folder + "/password", 0o644)
        assert "cannot be used" in server.over("http", "-c", "SELECT 1", code=3)
        for arguments in (["--as", "eve"], ["--warehouse", "/x"], ["--set", "query.rows_max=1"], ["serve"], ["--token-file", "x", "--password-file", "y"]):
            done = subprocess.run([MOAT, "--connect", "http://localhost:1", *arguments], capture_output=True, text=True)
            assert done.returncode == 2, (arguments, done)
        done = subprocess.run([MOAT, "--connect", "-c", "SELECT 1"], capture_output=True, text=True)
        assert done.returncode == 2 and "--connect needs an address" in done.stderr, done
        done = subprocess.run([MOAT, "--connect", "https://" + "a" * 5000, "-c", "SELECT 1"], capture_output=True, text=True)
        assert done.returncode == 3 and "has 5008 bytes" in done.stderr, done
        for url, code, says in (("http://moat.example.com", 3, "in the clear"), ("http://a:b@localhost", 3, "may not hold a password"), ("http://localhost:1", 3, "cannot be asked"), (f"http://localhost:{server.port}", 3, ""),
                                ("grpc://moat.example.com", 3, "grpc+tls"), ("grpc://localhost:1", 3, "cannot be asked"), (f"grpc://localhost:{server.port}", 3, ""),
                                (f"grpc://localhost:{server.web_port}", 3, ""), ("https://" + "a" * 254, 3, "has 254 bytes")):
            done = subprocess.run([MOAT, "--connect", url, "--password-file", "-", "-c", "SELECT 1"], input="x\n", capture_output=True, text=True)
            assert done.returncode == code and says in done.stderr, (url, done)


def over_tls():
    folder = tempfile.mkdtemp(prefix="moat-connect-")
    pem, key = authority.certificate(folder, "server")
    other, _ = authority.certificate(folder, "other")
    with Doors(MOAT, *authority.tls_settings(pem, key), "server.tls=required") as server:
        for door in [{"http": "https", "grpc": "grpc+tls"}.get(door, door) for door in DOORS]:
            assert server.over(door, "--format", "csv", "--no-header", "-c", "SELECT 42", path="/moat?ca=" + pem, host="127.0.0.1").strip() == "42"
            assert "ertificate" in server.over(door, "-c", "SELECT 42", path="/moat?ca=" + other, host="127.0.0.1", code=3)
            assert "ertificate" in server.over(door, "-c", "SELECT 42", path="/moat?ca=" + pem, code=3)  # it is not localhost's
    shutil.rmtree(folder)


def asked(url, *arguments, statement="SELECT 1", seconds=60):
    """Code and standard error of a statement at that server, which must be an end that the program has chosen."""
    begun = time.monotonic()
    done = subprocess.run([MOAT, "--connect", url, "--password-file", "-", *arguments, "-c", statement], input="x\n", capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1, 3) and time.monotonic() - begun < seconds, done
    assert (done.returncode == 0) == (not done.stderr.startswith("ERROR")), done
    return done.returncode, done.stderr if done.returncode else done.stdout


def ipc(batch, change=lambda body: body):
    """FlightData of a batch."""
    whole = batch.serialize().to_pybytes()
    length = int.from_bytes(whole[4:8], "little")
    return hostile.field(2, whole[8:8 + length]) + hostile.field(1000, change(whole[8 + length:]))


def of_schema(schema):
    return hostile.field(2, schema.serialize().to_pybytes()[8:])


def on_a_terminal(server, door, statement, until):
    """What the program shows of that statement up to there, on a terminal; then Ctrl-C."""
    process, master = pty.fork()
    if process == 0:
        os.execve(MOAT, [MOAT, "--connect", server.url(door), "--password-file", server.folder + "/password", "-c", statement], {**server.environment, "TERM": "xterm"})
    seen, end = b"", time.monotonic() + 120
    try:
        while not re.search(until, seen):
            assert time.monotonic() < end, (door, seen[-2000:])
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 65536)
        os.write(master, b"\x03")
        while b"57014" not in seen:
            assert time.monotonic() < end, (door, seen[-2000:])
            seen += os.read(master, 65536)
        return seen
    finally:
        os.close(master)
        os.waitpid(process, 0)


def progress_is_shown():
    with tempfile.TemporaryDirectory(prefix="moat-connect-") as folder:
        data = folder + "/big.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"i": pyarrow.Array.from_buffers(pyarrow.int64(), 6000000, [None, pyarrow.py_buffer(array.array("q", range(6000000)))])}), data, row_group_size=50000)
        slow = "SELECT sum(len(list_filter(range(20), x -> md5(x::VARCHAR || i::VARCHAR) LIKE 'ff%'))) FROM big"
        with served(setup=f"CREATE EXTERNAL TABLE big LOCATION '{data}'; GRANT SELECT ON big TO USER amelia") as server:
            for door in DOORS:
                seen = on_a_terminal(server, door, slow, rb"\[#* *\] +[1-9][0-9]* %, \d+ s, about \d+ s left")
                assert b"running, 1 s" in seen, seen
                eventually(lambda: server.sql_over("SELECT count(*) FROM moat_system.running_queries WHERE progress >= 0")["rows"] == [[0]])
            # It is there for all who may see the statement. Where there is no terminal nothing is shown.
            process = subprocess.Popen([MOAT, "--connect", server.url("grpc"), "--password-file", server.folder + "/password", "-o", "/dev/null", "-c", slow],
                                       env=server.environment, stderr=subprocess.PIPE, text=True)
            eventually(lambda: (server.sql_over("SELECT max(progress) FROM moat_system.running_queries WHERE protocol = 'flight'")["rows"][0][0] or 0) > 0, 60)
            said = process.communicate()[1]
            assert said == "" and process.returncode == 0, (said, process.returncode)
    # A server that has no such list: time alone.
    over = threading.Event()

    class Slow(flight.FlightServerBase):
        def get_flight_info(self, context, descriptor):
            if b"running_queries" in descriptor.command:
                raise KeyError("no such table")
            return flight.FlightInfo(pyarrow.schema([]), descriptor, [flight.FlightEndpoint(b"slow" if b"1000" in descriptor.command else b"", [])], -1, -1)

        def do_get(self, context, ticket):
            if ticket.ticket == b"slow":
                over.wait(60)
            return flight.RecordBatchStream(pyarrow.table({"x": [1]}))

    with Slow("grpc://127.0.0.1:0") as other, served() as server:
        server.flight_port = other.port
        try:
            assert b"%" not in on_a_terminal(server, "grpc", LONG, rb"running, 3 s")
        finally:
            over.set()


def calls_that_are_answered_wrong():
    h = hostile
    status = lambda number, *more: h.answer(status=number, more=more)
    endless = [h.head(), *([h.data(h.message(b"x" * 1000))] * 80000)]
    for reply, says in ((b"", "cannot be asked"), (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "cannot be asked"), (os.urandom(20000), ""), (b"\xff" * 65536, ""),
                        (h.frame(h.HEADERS, 4, 1, b"\xff" * 100), ""), (h.frame(h.RST, 0, 1, b"\0\0\0\x02"), "cannot be asked"), ([h.frame(h.GOAWAY, 0, 0, b"\0" * 8), b""], "cannot be asked"),
                        (h.head(("content-type", "text/html"), status="404") + h.data(b"no", h.ENDS), "does not speak gRPC"),
                        (h.head(("content-type", "text/html")) + h.data(b"<html>", h.ENDS), "does not speak gRPC"), (h.head() + h.data(b"", h.ENDS), "before its status"),
                        (h.head() + h.data(b"\1\0\0\0\0") + h.trailers(("grpc-status", "0")), "compresses"), (h.head() + h.data(b"\x07nope!", h.ENDS), "no message of gRPC"),
                        (h.head() + h.data(b"\0\xff\xff\xff\xff", h.ENDS), "may have"), (h.head() + h.data(b"\0\0\0\0\x09abc", h.ENDS), "within a message"),
                        (h.head() + h.data(b"\0\0", h.ENDS), "within a message"), (status("99", ("grpc-message", "%zz%1b[31m%00x")), "zz"), (status("x"), "no reason"),
                        (status("-1"), "no reason"), (status("16", ("grpc-message", "go away")), "28000: go away"),
                        (status("3", ("moat-sqlstate", "42601"), ("grpc-message", "a [42601] at byte 7%0AHINT: b")), "42601: a\nHINT: b"),
                        (status("0", *((f"x-{i}", "y" * 1000) for i in range(16))), ""), ([h.head()] + [h.trailers(("x", "y"))] * 1000, ""), (endless, "")):
        with h.Hostile({"": reply}) as server:
            code, text = asked(f"grpc://amelia@localhost:{server.port}")
            assert code == 3 and says in text and "\x1b" not in text and "\0" not in text, (says, text)


def statements_that_are_answered_wrong():
    h = hostile
    hello = h.answer(b"")
    for reply, says in ((h.answer(b"\xff\xff\xff"), "FlightInfo"), (h.answer(h.field(3, b"\x0a\xff")), "FlightInfo"), (h.answer(h.info(b"t", b"grpc://elsewhere:1")), "another server"),
                        (h.answer(b"".join([h.info()] * 10001)), "10001 places"), (h.answer(status="12", more=(("grpc-message", "not here"),)), "0A000: not here"),
                        ([h.head(), None], "in time")):
        with h.Hostile({"Handshake": hello, "GetFlightInfo": reply, "": h.answer(status="12")}) as server:
            code, text = asked(f"grpc://amelia@localhost:{server.port}?timeout={1 if says == 'in time' else 60}")
            assert code == 3 and says in text, (says, text)


def rows_that_are_not_as_they_must_be():
    h = hostile
    numbers = pyarrow.record_batch([pyarrow.array([1, 2, 3], pyarrow.int32())], names=["x"])
    texts = pyarrow.record_batch([pyarrow.array(["ab", "c"])], names=["t"])
    begins, rows = of_schema(numbers.schema), ipc(numbers)
    middle = h.head() + h.data(h.message(begins) + h.message(rows))
    for reply, says in ((h.answer(begins, rows), "x\n1\n2\n3\n"), (h.answer(begins, h.field(3, b"news"), rows, b"", rows), "3\n1\n2\n3\n"), (h.answer(), ""),
                        (h.answer(rows), "begins with a schema"), (h.answer(begins, begins), "begins with a schema"), (h.answer(begins, rows[:-20]), "FlightData"),
                        (h.answer(begins, h.field(2, b"")), "x\n"), (h.answer(begins, h.field(2, os.urandom(200))), "Arrow stream"),
                        (h.answer(begins, ipc(numbers, lambda body: b"")), "not as its schema says"),
                        (h.answer(of_schema(texts.schema), ipc(texts, lambda body: body.replace(b"abc", b"a\xffc"))), "UTF-8"),
                        (h.answer(b"\x12\xff\xff\xff\xff\x0f"), "FlightData"), (h.answer(begins, rows, status="13", more=(("grpc-message", "late"),)), "XX000: late"),
                        ([middle, None], "in time"), (middle + h.data(b"", h.ENDS), "before its status"), (middle + h.frame(h.RST, 0, 1, b"\0\0\0\x02"), "0800"),
                        ([h.head(), *([h.data(h.message(b""))] * 1000), h.trailers(("grpc-status", "0"))], "")):
        with h.Hostile({"Handshake": h.answer(b""), "GetFlightInfo": h.answer(h.info()), "DoGet": reply, "DoAction": h.answer(status="12"), "": b""}) as server:
            _, text = asked(f"grpc://amelia@localhost:{server.port}?timeout={1 if says == 'in time' else 60}", "--format", "csv")
            assert says in text.replace("\r", ""), (says, text)
            # What was begun, and has not come to its end, is told to stop.
            assert ("DoAction" in server.asked) == ("ERROR" in text and "late" not in text), (says, server.asked)


def rows_in_parts():
    h = hostile
    numbers = pyarrow.record_batch([pyarrow.array([1, 2, 3], pyarrow.int32())], names=["x"])
    texts = pyarrow.record_batch([pyarrow.array(["ab", "c"])], names=["t"])
    good, other = h.answer(of_schema(numbers.schema), ipc(numbers)), h.answer(of_schema(texts.schema), ipc(texts))
    for parts, says in (([good, good], "x\n1\n2\n3\n1\n2\n3\n"), ([good, other], "other columns"), ([good, h.answer(status="5", more=(("grpc-message", "gone"),))], "42704: gone")):
        queue = [good] * len(parts) + parts  # SELECT 1 before all has as many
        with h.Hostile({"Handshake": h.answer(b""), "GetFlightInfo": h.answer(h.info() * len(parts)), "DoGet": lambda: queue.pop(0), "": h.answer(status="12")}) as server:
            _, text = asked(f"grpc://amelia@localhost:{server.port}", "--format", "csv")
            assert says in text.replace("\r", ""), (says, text)


def ctrl_c_stops_it():
    with served() as server:
        for door in DOORS:
            process = subprocess.Popen([MOAT, "--connect", server.url(door), "--password-file", server.folder + "/password", "-c", LONG],
                                       env=server.environment, stderr=subprocess.PIPE, text=True)
            eventually(lambda: server.sql_over(RUNNING)["rows"] == [[1]])
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130 and "57014" in process.stderr.read()
            eventually(lambda: server.sql_over(RUNNING)["rows"] == [[0]])
            # In the middle of rows that nobody reads.
            process = subprocess.Popen([MOAT, "--connect", server.url(door), "--password-file", server.folder + "/password", "-c",
                                        "SELECT a.range, repeat('x', 1000) FROM range(1000000) a, range(1000001) b"], env=server.environment, stdout=subprocess.PIPE)
            process.stdout.read(100000)
            process.stdout.close()
            process.wait(60)
            eventually(lambda: server.sql_over(RUNNING)["rows"] == [[0]])


def deadlines_and_cancels_reach_the_server():
    with served() as server:
        begun = time.monotonic()
        assert "57014" in server.over("grpc", "-c", LONG, path="?timeout=1", code=1) and time.monotonic() - begun < 60
        eventually(lambda: server.sql_over(RUNNING)["rows"] == [[0]])
        # Tickets outlive the connections that asked for them: nothing of a short statement is lost.
        script = ";".join(["SELECT i, i::VARCHAR FROM range(5000) r(i)"] * 50)
        runs = [subprocess.Popen([MOAT, "--connect", server.url("grpc"), "--password-file", server.folder + "/password", "--format", "csv", "-o", "/dev/null", "-c", script],
                                 env=server.environment, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        assert [one.communicate()[1] for one in runs] == [""] * 4


SQLITE = os.path.join(HERE, "../../.cache/deps/flight-sqlite/sqlite_flightsql_server")


if not os.path.exists(SQLITE):
    print("skipped: Arrow's example server in Go (make interop installs it)")


def another_implementation():
    """Arrow's example server in Go, over SQLite."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([SQLITE, "-port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"grpc://amelia@localhost:{port}"
        eventually(lambda: asked(url)[0] == 0)
        for statement, says in (("SELECT * FROM foreignTable", "id,foreignName,value\n1,keyOne,1\n2,keyTwo,0\n3,keyThree,-1\n"), ("CREATE TABLE q (a INT, b TEXT)", ""),
                                ("INSERT INTO q VALUES (1, 'x'), (2, 'é'), (3, NULL)", ""), ("SELECT * FROM q", "a,b\n1,x\n2,é\n3,\n"),
                                ("BEGIN; UPDATE q SET a = 7; ROLLBACK; SELECT sum(a) AS s FROM q", "s\n6\n"), ("BEGIN; DELETE FROM q WHERE b IS NULL; COMMIT; SELECT count(*) AS n FROM q", "n\n2\n"),
                                ("SELECT nope FROM q", "no such column: nope"), ("SELECT count(*) AS n FROM q WHERE false", "n\n0\n"),
                                ("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 30000) SELECT count(*) AS n, sum(x) AS s FROM c", "n,s\n30000,450015000\n")):
            code, text = asked(url, "--format", "csv", statement=statement)
            assert text.replace("\r", "") == says if code == 0 else says in text, (statement, text)
        code, text = asked(url, "--format", "table", statement="UPDATE q SET a = a + 1")
        assert code == 0 and text.strip() == "UPDATE 2", text
    finally:
        process.kill()
        process.wait()


def a_server_of_arrows_own():
    """pyarrow's server, its C++ below: batches of every type, compressed ones, errors in the middle."""
    table = pyarrow.table({"i": pyarrow.array([1, None], pyarrow.int64()), "d": pyarrow.array(["p", "p"]).dictionary_encode(), "l": [[1.5], []], "s": [{"a": "é"}, None],
                           "m": pyarrow.array([[("k", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int32())), "t": pyarrow.array([0, 1], pyarrow.timestamp("us", "UTC"))})

    class Server(flight.FlightServerBase):
        def get_flight_info(self, context, descriptor):
            kind = next((kind for kind in (b"lz4", b"late", b"refused") if kind in descriptor.command), b"")
            if kind == b"refused":
                raise flight.FlightUnauthorizedError("not you")
            return flight.FlightInfo(table.schema, descriptor, [flight.FlightEndpoint(kind, [])], -1, -1)

        def do_get(self, context, ticket):
            def rows():
                yield table
                raise flight.FlightTimedOutError("too slow")
            if ticket.ticket == b"late":
                return flight.GeneratorStream(table.schema, rows())
            options = pyarrow.ipc.IpcWriteOptions(compression="lz4" if ticket.ticket == b"lz4" else None)
            return flight.RecordBatchStream(table, options=options)

    with Server("grpc://127.0.0.1:0") as server:
        url = f"grpc://amelia@127.0.0.1:{server.port}"
        code, text = asked(url, "--format", "jsonl")
        assert code == 0 and [json.loads(line) for line in text.splitlines()][0] == {"i": 1, "d": "p", "l": [1.5], "s": {"a": "é"}, "m": {"k": 1}, "t": "1970-01-01 00:00:00+00"}, text
        for word, says in (("refused", "42501: not you"), ("late", "too slow"), ("lz4", "compressed")):
            code, text = asked(url, "--format", "csv", statement=f"SELECT '{word}'")
            assert code == 1 and says in text, (word, text)


def a_shell():
    with served() as server:
        for door in DOORS:
            process, master = pty.fork()
            if process == 0:
                os.execve(MOAT, [MOAT, "--connect", server.url(door)], {**server.environment, "TERM": "xterm"})
            seen = b""

            def until(text):
                nonlocal seen
                end = time.monotonic() + 120
                while text not in seen:
                    assert time.monotonic() < end, (text, seen)
                    if select.select([master], [], [], 0.2)[0]:
                        seen += os.read(master, 65536)
                seen = seen[seen.index(text) + len(text):]

            until(b"Password of amelia: ")
            os.write(master, PASSWORD.encode() + b"\n")
            until(b"moat(amelia)> ")
            os.write(master, b"SELECT 6 * 7 AS answer;\r")
            until(b"42")
            until(b"moat(amelia)> ")
            os.write(master, LONG.encode() + b";\r")
            eventually(lambda: server.sql_over(RUNNING)["rows"] == [[1]])
            os.write(master, b"\x03")
            until(b"57014")
            until(b"moat(amelia)> ")
            os.write(master, b"\\d\r")
            until(b"schema")
            until(b"moat(amelia)> ")
            os.write(master, b"\\as eve\r")
            until(b"one person's")
            os.write(master, b"\\q\r")
            assert os.waitpid(process, 0)[1] == 0
            os.close(master)


OTHERS = [progress_is_shown, calls_that_are_answered_wrong, statements_that_are_answered_wrong, rows_that_are_not_as_they_must_be, rows_in_parts, a_server_of_arrows_own] if pyarrow else []
OTHERS += [another_implementation] if os.path.exists(SQLITE) else []

if __name__ == "__main__":
    sys.exit(run([every_format_is_the_same, errors_say_where, state_lasts_where_there_is_some, who_asks, over_tls, ctrl_c_stops_it, deadlines_and_cancels_reach_the_server, a_shell] + OTHERS,
                 sys.argv[2:], 3 - len(DOORS) + (pyarrow is None) + (not os.path.exists(SQLITE))))
