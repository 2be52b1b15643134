#!/usr/bin/env python3
"""Changes of a real REST catalog: Iceberg's own, with the gateway before it that fails as it is told, and PyIceberg as the oracle.

    write_test.py DRIVE [CASE ...]      DRIVE is drive.c, built

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[2] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.types import StringType
except ImportError:
    if PYTHON.exists() and not os.environ.get("WRITE_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "WRITE_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lake"))
import world
from world import identity
from protocol import run

DRIVE = os.path.abspath(sys.argv[1])
SCHEMA = {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}]}


def drive(verb, namespace, *arguments, expect="ok", proxy=None):
    done = subprocess.run([DRIVE, proxy or gateway.url, token_uri, str(secret), verb, namespace, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(expect), (done.stdout[:500], done.stderr[-500:])
    return done.stdout.strip()


def create(name, **more):
    answer = drive("create", "sales", name, json.dumps({"name": name, "schema": SCHEMA, **more}))
    return answer.split(" ", 2)[1], json.loads(answer.split(" ", 2)[2])


def commit(name, updates, requirements=(), **more):
    return drive("commit", "sales", name, json.dumps(list(requirements)), json.dumps(updates), **more)


def set_note(text):
    return [{"action": "set-properties", "updates": {"note": text}}]


def note_of(name):
    return pyiceberg.load_table(f"sales.{name}").properties.get("note")


def tables_live_and_end():
    location, metadata = create("one")
    table = pyiceberg.load_table("sales.one")
    assert table.metadata_location == location and str(table.metadata.table_uuid) == metadata["table-uuid"]
    assert create_again("one").startswith("err 42P07")
    after = commit("one", set_note("first"), [{"type": "assert-table-uuid", "uuid": metadata["table-uuid"]}])
    assert note_of("one") == "first" and json.loads(after.split(" ", 2)[2])["properties"]["note"] == "first"
    drive("rename", "sales", "one", "sales.eu", "eins é")
    assert pyiceberg.load_table(("sales", "eu", "eins é")).properties["note"] == "first"
    drive("rename", "sales.eu", "eins é", "sales", "one")
    here = pyiceberg.load_table("sales.one").metadata_location
    drive("drop", "sales", "one")
    assert not pyiceberg.table_exists("sales.one") and Path(here.removeprefix("file:")).exists()
    drive("register", "sales", "one", here)
    assert note_of("one") == "first"
    drive("drop", "sales", "one", "purge")
    assert not Path(here.removeprefix("file:")).exists()
    assert drive("drop", "sales", "one", expect="err").startswith("err 42P01")


def create_again(name):
    return drive("create", "sales", name, json.dumps({"name": name, "schema": SCHEMA}), expect="err")


def a_staged_table_is_there_when_committed():
    location, metadata = create("staged", **{"stage-create": True})
    assert location == "" and not pyiceberg.table_exists("sales.staged")
    updates = [{"action": "assign-uuid", "uuid": metadata["table-uuid"]}, {"action": "upgrade-format-version", "format-version": 2},
               {"action": "add-schema", "schema": SCHEMA, "last-column-id": 1}, {"action": "set-current-schema", "schema-id": -1},
               {"action": "add-spec", "spec": {"spec-id": 0, "fields": []}}, {"action": "set-default-spec", "spec-id": -1},
               {"action": "add-sort-order", "sort-order": {"order-id": 0, "fields": []}}, {"action": "set-default-sort-order", "sort-order-id": -1},
               {"action": "set-location", "location": metadata["location"]}]
    commit("staged", updates, [{"type": "assert-create"}])
    assert str(pyiceberg.load_table("sales.staged").metadata.table_uuid) == metadata["table-uuid"]
    assert commit("staged", updates, [{"type": "assert-create"}], expect="err").startswith("err 40001")
    drive("drop", "sales", "staged", "purge")


def who_comes_second_is_told():
    _, metadata = create("raced")
    mine = [{"type": "assert-current-schema-id", "current-schema-id": 0}]
    with pyiceberg.load_table("sales.raced").update_schema() as update:
        update.add_column("region", StringType())
    answer = commit("raced", set_note("late"), mine, expect="err")
    assert answer.startswith("err 40001"), answer
    assert note_of("raced") is None
    answer = commit("raced", [{"action": "set-current-schema", "schema-id": 99}], expect="err")
    assert answer.startswith("err 22023"), answer
    assert commit("nothing", set_note("x"), expect="err").startswith("err 42P01")
    drive("drop", "sales", "raced", "purge")


def what_nobody_knows_is_said():
    create("doubt")
    for fault, code in (("500", "unknown 08007"), ("503", "unknown 08007"), ("drop", "unknown 08007"), ("hang", "unknown 08007"), ("truncate", "unknown 08007"),
                        ("garbage", "unknown 08007"), ("429", "53400"), ("401", "28000")):
        gateway.reset()
        with faults_of_posts(fault) as proxy:
            answer = commit("doubt", set_note(fault), expect="err", proxy=proxy.url)
        assert answer.startswith(f"err {code}"), (fault, answer)
        assert proxy.posts <= 1 or fault in ("401", "429"), (fault, proxy.posts)
        assert "secret" not in answer
    drive("drop", "sales", "doubt", "purge")


class faults_of_posts:
    """A proxy before the gateway that lets everything through but answers to POST: those it loses after they were done."""

    def __init__(self, fault):
        outer = self
        self.fault, self.posts = fault, 0

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self, body=None):
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding", "connection")}
                request = urllib.request.Request(gateway.url + self.path, data=body, headers=headers, method=self.command)
                try:
                    with identity.OPENER.open(request, timeout=20) as answer:
                        return answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    return error.code, error.read()

            def do_GET(self):
                self.say(*self.pass_on())

            def say(self, status, body, length=None):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                outer.posts += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.fault in ("429", "401"):
                    return self.say(int(outer.fault), b'{"error": {"type": "X", "message": "secret", "code": 1}}')
                self.pass_on(body)
                if outer.fault == "hang":
                    return outer.stopped.wait(30)
                if outer.fault == "drop":
                    return self.connection.close()
                if outer.fault == "truncate":
                    return self.say(200, b'{"meta', 1000)
                if outer.fault == "garbage":
                    return self.say(200, b'{"metadata": [[[')
                self.say(int(outer.fault), b'{"error": {"type": "X", "message": "secret", "code": 1}}')

            def log_message(self, *_):
                pass

        self.stopped = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.server.shutdown()


def namespaces_are_made_and_dropped():
    drive("make-namespace", "fresh")
    drive("make-namespace", "fresh.b c")
    assert ("fresh", "b c") in pyiceberg.list_namespaces("fresh") and pyiceberg.load_namespace_properties("fresh")["note"] == 'a "quoted" text'
    assert drive("make-namespace", "fresh", expect="err").startswith("err 42P06")
    assert drive("drop-namespace", "sales", expect="err").startswith("err 2BP01")
    drive("drop-namespace", "fresh.b c")
    drive("drop-namespace", "fresh")
    assert drive("drop-namespace", "fresh", expect="err").startswith("err 3F000")


CASES = [tables_live_and_end, a_staged_table_is_there_when_committed, who_comes_second_is_told, what_nobody_knows_is_said, namespaces_are_made_and_dropped]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-write-") as name:
        folder = Path(name)
        try:
            with world.issuer_of(folder) as issuer:
                catalog, lake = world.iceberg_servlet(folder)
                pyiceberg = load_catalog("rest", type="rest", uri=catalog.url)
                pyiceberg.create_namespace("sales")
                pyiceberg.create_namespace(("sales", "eu"))
                gateway = world.Gateway(folder, catalog.url, issuer.url)
                secret = folder / "etl-secret"
                secret.write_text("etl-secret")
                secret.chmod(0o600)
                with identity.OPENER.open(f"{issuer.url}/.well-known/openid-configuration") as answer:
                    token_uri = json.load(answer)["token_endpoint"]
                code = run(CASES, sys.argv[2:])
                gateway.close()
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
