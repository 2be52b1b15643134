#!/usr/bin/env python3
"""Scans that a catalog plans: Iceberg's own REST catalog over the sample of real tables, at once, in pages and after a wait.

    plan_test.py MOAT [CASE ...]

Of each table the rows are the same, whoever plans; the catalog's log says who did.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import pyiceberg  # noqa: F401
except ImportError:
    if PYTHON.exists() and not os.environ.get("PLAN_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "PLAN_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

sys.path[:0] = [str(ROOT / "tests/lake"), str(ROOT / "tests/interop/iceberg")]
import world
from protocol import run

MOAT = os.path.abspath(sys.argv[1])
SAMPLE = ROOT / "tests/data/iceberg"
# Iceberg 1.11 breaks off in the middle of its answer (status 200) where all fields of a file's partition are void.
UNTOLD = {"core.v1_evolved_drop_cow"}


class Front:
    """Before the catalog: gives tokens, says what tables say of planning, and writes down what was asked."""

    def __init__(self, catalog):
        front = self
        self.catalog, self.mode, self.log, self.hang = catalog, None, [], False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def send(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except BrokenPipeError:
                    pass  # a statement that was cancelled

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/tokens":
                    return self.send(200, b'{"access_token":"t","token_type":"bearer","expires_in":600}')
                front.log.append((self.command, self.path, body.decode()))
                if front.hang and self.command == "GET" and "/plan/" in self.path:
                    return self.send(200, b'{"status":"submitted"}')
                if front.hang and self.command == "DELETE":
                    return self.send(204, b"")
                request = urllib.request.Request(front.catalog + self.path, data=body or None, method=self.command)
                request.add_header("Content-Type", "application/json")
                try:
                    with urllib.request.urlopen(request, timeout=60) as reply:
                        status, text = reply.status, reply.read()
                except urllib.error.HTTPError as error:
                    status, text = error.code, error.read()
                if front.mode and self.command == "GET" and "/tables/" in self.path and status == 200:
                    loaded = json.loads(text)
                    loaded.setdefault("config", {})["scan-planning-mode"] = front.mode
                    text = json.dumps(loaded).encode()
                front.last = text
                self.send(status, text)

            do_GET = do_POST = do_DELETE = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, method, part):
        return [line for line in self.log if line[0] == method and part in line[1]]


def attach(name, planning):
    return (f"ATTACH OR REPLACE '{front.url}' AS {name} (TYPE iceberg_rest, AUTH client, TOKEN_URI '{front.url}/tokens', CLIENT_ID 'etl', "
            f"CLIENT_SECRET_FILE '{secret}', PLANNING '{planning}')")


def moat(sql):
    front.log.clear()
    return subprocess.run([MOAT, "--warehouse", str(warehouse), "--set", "catalog.insecure_loopback=true", "--set", f"catalog.local_folders={lake}",
                           "--format", "csv", "-c", sql], capture_output=True, text=True, timeout=240, env={**os.environ, "HOME": str(folder)})


def read(sql, planning="auto", expect=0):
    done = moat(f"{attach('lake', planning)}; {sql}")
    assert done.returncode == expect, (sql, planning, front.log[-2:], done.stdout[-300:], done.stderr[-1000:])
    return done.stdout if expect == 0 else done.stderr


def behave(asynchronous, tasks):
    """RESTCatalogAdapter's planning behaviour, which its subclasses set: here by reflection."""
    loader = jvm.java.lang.Class
    builder_class = loader.forName("org.apache.iceberg.rest.TestRESTScanPlanning$TestPlanningBehavior$Builder")

    def call(of, name, types, target, *values):
        method = of.getDeclaredMethod(name, types)
        method.setAccessible(True)
        arguments = catalog.gateway.new_array(jvm.java.lang.Object, len(values))
        for i, value in enumerate(values):
            arguments[i] = value
        return method.invoke(target, arguments)

    def classes(*of):
        array = catalog.gateway.new_array(jvm.java.lang.Class, len(of))
        for i, one in enumerate(of):
            array[i] = one
        return array

    maker = builder_class.getDeclaredConstructor(classes())
    maker.setAccessible(True)
    builder = maker.newInstance(catalog.gateway.new_array(jvm.java.lang.Object, 0))
    boolean, integer = jvm.java.lang.Boolean.TYPE, jvm.java.lang.Integer.TYPE
    call(builder_class, "asyncPlanning", classes(boolean), builder, asynchronous)
    call(builder_class, "tasksPerPage", classes(integer), builder, tasks)
    behaviour = call(builder_class, "build", classes(), builder)
    adapter = loader.forName("org.apache.iceberg.rest.RESTCatalogAdapter")
    kind = loader.forName("org.apache.iceberg.rest.RESTCatalogAdapter$PlanningBehavior")
    call(adapter, "setPlanningBehavior", classes(kind), catalog.adapter, behaviour)


def rows_are_the_same(line):
    """All, and those that a condition leaves; true if the catalog planned."""
    name = ".".join(f'"{part}"' for part in line["table"].split("."))
    wheres = ["", "WHERE id > 3 AND id <= 40"] if any(column["name"] == "id" for column in line["columns"]) else [""]

    def selects(catalog):
        return "; ".join(f"SELECT * FROM {catalog}.{name} {where} ORDER BY ALL" for where in wheres)

    ours = moat(f"{attach('ours', 'client')}; {selects('ours')}")
    assert not front.asked("POST", "/plan"), front.log
    theirs = moat(f"{attach('theirs', 'server')}; {selects('theirs')}")
    if line["table"] in UNTOLD:
        assert "is no JSON object" in theirs.stderr and front.last[:1] == b"{", (theirs.stderr, front.last)
        return True
    if ours.returncode != 0:
        assert "0A000" in ours.stderr, (line["table"], ours.stderr)  # it cannot be read, whoever plans
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), (line["table"], ours.stderr, theirs.stderr, front.log[-2:])
    plans = len(front.asked("POST", "/plan"))
    assert plans in (0, len(wheres)) or ours.returncode != 0, front.log  # one for each scan
    return plans > 0


def rows_are_the_same_at_once():
    planned = {line["table"] for line in tables if rows_are_the_same(line)}
    assert len(planned) >= 20, planned


def rows_are_the_same_in_pages_after_a_wait():
    behave(True, 1)
    try:
        sql = 'SELECT count(*), sum(id) FROM lake.core.v2_bucket_id_pos_file'
        assert read(sql, "client") == read(sql, "server")
        assert front.asked("GET", "/plan/") and front.asked("POST", "/tasks"), front.log
    finally:
        behave(False, 100)


def what_needs_sequence_numbers_is_planned_here():
    for table in ("core.v3_none_dv", "core.v2_bucket_id_pos_eq"):
        read(f"SELECT count(*) FROM lake.{table}", "server")
        assert not front.asked("POST", "/plan"), front.log


def the_condition_is_sent():
    read("SELECT count(*) FROM lake.core.v2_bucket_id_pos_file WHERE id = 17", "server")
    request = json.loads(front.asked("POST", "/plan")[-1][2])
    assert request["filter"] == {"type": "eq", "term": "id", "value": 17}, request


def the_table_says_who_plans():
    sql = "SELECT count(*) FROM lake.core.v2_none_pos_partition"
    try:
        for mode, is_asked in ((None, False), ("client", False), ("server", True)):
            front.mode = mode
            read(sql)
            assert bool(front.asked("POST", "/plan")) == is_asked, (mode, front.log)
        front.mode = "mind-reading"
        assert "not known here" in read(sql, expect=1)
        read(sql, "client")
    finally:
        front.mode = None
    assert "server" in read(sql, "somebody", expect=1)


def a_statement_that_ends_cancels_its_plan():
    behave(True, 1)
    front.hang = True
    try:
        read("SET query.timeout = '1s'; SELECT count(*) FROM lake.core.v2_none_pos_partition", "server", expect=1)
        assert front.asked("DELETE", "/plan/"), front.log
    finally:
        front.hang = False
        behave(False, 100)


def one_tables_columns_need_one_load():
    listed = read("SELECT column_name FROM information_schema.columns WHERE table_catalog = 'lake' AND table_schema = 'core' "
                  "AND table_name = 'v2_none_pos_partition'")
    assert "id" in listed.split(), listed
    loads = [path for _, path, _ in front.log if "/tables/" in path and "snapshots=" in path]
    assert len(loads) == 2, loads  # ATTACH loads one, to see what it is lent
    everything = read("SELECT count(DISTINCT table_name) FROM information_schema.columns WHERE table_catalog = 'lake'")
    loads = [path for _, path, _ in front.log if "/tables/" in path and "snapshots=" in path]
    assert len(loads) - 1 == len(set(loads)) == len(tables) and str(len(tables)) in everything, (len(loads), everything)


CASES = [rows_are_the_same_at_once, rows_are_the_same_in_pages_after_a_wait, what_needs_sequence_numbers_is_planned_here, the_condition_is_sent,
         the_table_says_who_plans, a_statement_that_ends_cancels_its_plan, one_tables_columns_need_one_load]


def register():
    """The sample, moved to a folder of its own, by its current metadata."""
    prefix = (SAMPLE / "prefix").read_text().strip()
    place = "/tmp/" + os.urandom(64).hex()[: len(prefix) - len("/tmp/")]  # both of one length
    subprocess.run([sys.executable, str(ROOT / "tests/interop/iceberg/relocate.py"), str(SAMPLE), prefix, place], check=True, capture_output=True)
    found = {}
    for line in map(json.loads, (SAMPLE / "index.jsonl").read_text().splitlines()):
        location = Path(line["metadata_file"].replace(prefix, place))
        if line["case"] == "current" and location.exists():
            found[line["table"]] = line | {"metadata_file": str(location)}
    for namespace in sorted({table.split(".")[0] for table in found}):
        post("/v1/namespaces", {"namespace": [namespace]})
    for table, line in found.items():
        namespace, name = table.split(".")
        post(f"/v1/namespaces/{namespace}/register", {"name": name, "metadata-location": line["metadata_file"]})
    return place, list(found.values())


def post(path, body):
    request = urllib.request.Request(catalog.url + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warehouse = folder / "moat"
        secret = folder / "etl-secret"
        secret.write_text("etl-secret")
        secret.chmod(0o600)
        try:
            catalog, _ = world.iceberg_servlet(folder)
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            sys.exit(0)
        jvm = catalog.gateway.jvm
        subprocess.run([MOAT, "--warehouse", str(warehouse), "-q", "init"], check=True, env={**os.environ, "HOME": str(folder)})
        lake, tables = register()
        front = Front(catalog.url)
        try:
            code = run(CASES, sys.argv[2:])
        finally:
            shutil.rmtree(lake, ignore_errors=True)
    sys.exit(code)
