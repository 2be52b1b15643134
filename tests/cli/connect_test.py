#!/usr/bin/env python3
"""`moat --connect`: each door of a server, and the program on the warehouse itself, give one answer.

connect_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import ctypes.util
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../http"), os.path.join(HERE, "../wire")]
import authority
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
        super().start(*settings)
        self.secret("password", PASSWORD)

    def secret(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.chmod(path, 0o600)
        return path

    def url(self, door, user="amelia", path="", host="localhost"):
        port = {"postgres": self.port, "http": self.web_port, "https": self.web_port}[door]
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


DOORS = ["http"] + (["postgres"] if ctypes.util.find_library("pq") else [])
if "postgres" not in DOORS:
    print("skipped: postgres:// for want of libpq")


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
        assert "42P01" in server.over("http", *script, code=1)
        assert server.over("http", "--format", "csv", "--no-header", "-c", "SELECT current_schema", path="/moat/moat_system").strip() == "moat_system"


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
        for url, code, says in (("http://moat.example.com", 3, "in the clear"), ("http://a:b@localhost", 3, "may not hold a password"), ("grpc://localhost", 3, "Flight"),
                                ("http://localhost:1", 3, "cannot be asked"), (f"http://localhost:{server.port}", 3, "")):
            done = subprocess.run([MOAT, "--connect", url, "--password-file", "-", "-c", "SELECT 1"], input="x\n", capture_output=True, text=True)
            assert done.returncode == code and says in done.stderr, (url, done)


def over_tls():
    folder = tempfile.mkdtemp(prefix="moat-connect-")
    pem, key = authority.certificate(folder, "server")
    other, _ = authority.certificate(folder, "other")
    with Doors(MOAT, *authority.tls_settings(pem, key), "server.tls=required") as server:
        for door in ["https" if door == "http" else door for door in DOORS]:
            assert server.over(door, "--format", "csv", "--no-header", "-c", "SELECT 42", path="/moat?ca=" + pem, host="127.0.0.1").strip() == "42"
            assert "ertificate" in server.over(door, "-c", "SELECT 42", path="/moat?ca=" + other, host="127.0.0.1", code=3)
            assert "ertificate" in server.over(door, "-c", "SELECT 42", path="/moat?ca=" + pem, code=3)  # it is not localhost's
    shutil.rmtree(folder)


def ctrl_c_stops_it():
    with served() as server:
        for door in DOORS:
            process = subprocess.Popen([MOAT, "--connect", server.url(door), "--password-file", server.folder + "/password", "-c", LONG],
                                       env=server.environment, stderr=subprocess.PIPE, text=True)
            eventually(lambda: server.sql_over(RUNNING)["rows"] == [[1]])
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130 and "57014" in process.stderr.read() and time.monotonic() - begun < 5
            eventually(lambda: server.sql_over(RUNNING)["rows"] == [[0]])
            # In the middle of rows that nobody reads.
            process = subprocess.Popen([MOAT, "--connect", server.url(door), "--password-file", server.folder + "/password", "-c",
                                        "SELECT a.range, repeat('x', 1000) FROM range(1000000) a, range(1000001) b"], env=server.environment, stdout=subprocess.PIPE)
            process.stdout.read(100000)
            process.stdout.close()
            process.wait(20)
            eventually(lambda: server.sql_over(RUNNING)["rows"] == [[0]])


def a_shell():
    with served() as server:
        for door in DOORS:
            process, master = pty.fork()
            if process == 0:
                os.execve(MOAT, [MOAT, "--connect", server.url(door)], {**server.environment, "TERM": "xterm"})
            seen = b""

            def until(text):
                nonlocal seen
                end = time.monotonic() + 30
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


if __name__ == "__main__":
    sys.exit(run([every_format_is_the_same, errors_say_where, state_lasts_where_there_is_some, who_asks, over_tls, ctrl_c_stops_it, a_shell],
                 sys.argv[2:], 2 - len(DOORS)))
