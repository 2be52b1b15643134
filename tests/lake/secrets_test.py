#!/usr/bin/env python3
"""No token of a person and nothing that was lent is written down, shown, handed to a child, or left in a core dump.

    secrets_test.py MOAT

Two people work in every way that there is, well and badly, with debug logs on. Meanwhile the command lines and environments of the
server and of all its children are read, and the memory of the engine hosts; afterwards every file that it made, also those without a
name, everything that was said to anybody, and what a crash leaves.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import needles
import stack
import world
from processes import descendants
from protocol import Refused, run
from way import Way

MOAT = sys.argv[1]
TABLE = "v2_day_ts_pos_partition"


def finds(data):
    return needles.find(folder, needles.of(lake), data)


def search(what, data):
    at = finds(data)
    assert at < 0, f"{what} holds a secret: ...{data[max(0, at - 80):at]!r}"


def look_at_processes(said):
    """Command line and environment of the server and all its children, and the memory of those that run SQL."""
    hosts = []
    for pid in (server.process.pid, *descendants(server.process.pid)):
        try:
            said += [(f"{name} of process {pid}", Path(f"/proc/{pid}/{name}").read_bytes()) for name in ("cmdline", "environ")]
            hosts.append(pid)
        except OSError:
            assert pid != server.process.pid
    assert len(hosts) > 1, "no engine host"
    return hosts[1:]


def memory_of(pid):
    """All that may be read of it; nothing of who ended."""
    parts = []
    try:
        spans = Path(f"/proc/{pid}/maps").read_text().splitlines()
        memory = open(f"/proc/{pid}/mem", "rb")
    except OSError:
        return b""
    with memory:
        for line in spans:
            span, rights = line.split()[:2]
            if not rights.startswith("r") or "/" in line or "[v" in line:
                continue
            begin, end = (int(word, 16) for word in span.split("-"))
            try:
                memory.seek(begin)
                parts.append(memory.read(end - begin))
            except (OSError, ValueError, OverflowError):
                pass
    return b"".join(parts)


def attempt(client, statement):
    try:
        outcome.append((statement, repr(client.query(statement)).encode()))
    except Refused as error:
        outcome.append((statement, repr(error.fields).encode()))


STATEMENTS = ["SELECT count(*), min(s) FROM {table}", "SELECT * FROM {table} ORDER BY ALL", 'SELECT * FROM {schema}."{name}$files"',
              "EXPLAIN SELECT * FROM {table}", "EXPLAIN ANALYZE SELECT * FROM {table}", "EXPLAIN (PHYSICAL) SELECT * FROM {table}",
              "SELECT * FROM {table} AT (VERSION => 1)", "SELECT nothing FROM {table}", "SELECT * FROM {schema}.nothing", "SHOW TABLES IN {schema}",
              "SELECT CAST(s AS INTEGER) FROM {table}", "SELECT * FROM pg_stat_activity", "SHOW CATALOGS", "SHOW ALL",
              "SELECT current_setting('moat.login')", "SELECT * FROM duckdb_secrets()", "SELECT * FROM duckdb_settings()",
              "SELECT getenv('PGPASSWORD')", "SELECT error(s) FROM {table}"]


def work():
    """Both people, everything, with each fault of catalog and store."""
    names = {"table": table, "schema": table.rsplit(".", 1)[0], "name": TABLE}
    for person in stack.PEOPLE:
        with world.sign_in(server, lake.issuer, person) as client:
            for statement in STATEMENTS:
                attempt(client, statement.format(**names))
            for rule in ({"fault": "401"}, {"fault": "500"}, {"fault": "garbage"}, {"fault": "truncate"}, {"deny": {person: ["/tables/"]}},
                         {"credentials": {person: []}}, {"credentials": {person: [{"prefix": "s3://lake/", "config": {"s3.access-key-id": 7}}]}}):
                lake.gateway.tell(**rule)
                attempt(client, STATEMENTS[0].format(**names))
                attempt(client, STATEMENTS[4].format(**names))
                lake.gateway.tell(fault=None, deny={}, credentials={})
                time.sleep(0.3)  # the breaker's pause
            for fault in ("kill", 502, "truncate", "garbage", "flip"):
                way.strike(fault)
                attempt(client, f"SELECT count(*), max(s) FROM {table} WHERE id > {len(outcome)}")
                way.strike(None)
        for wrong in (lake.issuer.issued[-1][:-6] + "AAAAAA", lake.issuer.issued[-1] + "x"):  # at the door, and in the wrong place
            try:
                world.sign_in(server, lake.issuer, person, wrong)
            except Refused as error:
                outcome.append(("sign-in", repr(error.fields).encode()))
    with world.sign_in(server, lake.issuer, "bob") as client:
        attempt(client, f"SELECT '{lake.issuer.issued[-1][:200]}' = 'x', nothing")  # what people write themselves is theirs, but see below


def what_is_said_and_shown():
    work()
    for what, data in outcome[:-1]:
        search(f"the answer to {what}", data)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{http_port}/metrics", timeout=30) as answer:
        search("/metrics", answer.read())
    for name in ("audit", "catalogs", "sessions", "queries", "history"):
        try:
            text = server.sql(f"SELECT * FROM moat_system.{name} WHERE NOT contains(CAST(COLUMNS(*) AS VARCHAR), 'nothing')" if name == "audit"
                              else f"SELECT * FROM moat_system.{name}")
        except subprocess.CalledProcessError:
            continue
        search(f"moat_system.{name}", text.encode())


def children_get_nothing():
    """While a query runs: its host reads what it may, and holds none of what opens it."""
    said = []
    way.delay_s = 0.7
    with world.sign_in(server, lake.issuer, "bob") as client:
        statement = f"SELECT max(d), count(*) FROM {table} WHERE k > -77".encode() + b"\0"
        client.send(b"Q" + (len(statement) + 4).to_bytes(4, "big") + statement)
        time.sleep(1.5)
        hosts = look_at_processes(said)
        for pid in hosts:
            said.append((f"the memory of engine host {pid}", memory_of(pid)))
        own = memory_of(server.process.pid)
        way.delay_s = 0
        client.rows(client.until("Z"))
    assert sum(len(data) for what, data in said if "memory" in what) > 1_000_000, "no memory was read"
    assert finds(own) >= 0, "nothing is found where it must be: the search is wrong"
    for what, data in said:
        search(what, data)


def nothing_is_on_disk():
    for pid in (server.process.pid, *descendants(server.process.pid)):  # files without a name too: the block cache is one
        for fd in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                if fd.is_file():
                    search(f"{fd} ({os.readlink(fd)})", fd.read_bytes())
            except OSError:
                pass
    seen = 0
    for root in (Path(server.folder), log, *Path("/tmp").glob("moat-spill-*")):
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                try:
                    data = path.read_bytes()
                except FileNotFoundError:  # of another server, which ends meanwhile
                    continue
                search(str(path), data)
                seen += 1
    assert seen > 5 and log.exists(), seen


def a_crash_leaves_no_dump():
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    before = set(places())
    for pid in (*descendants(server.process.pid), server.process.pid):
        try:
            limits = Path(f"/proc/{pid}/limits").read_text()
        except OSError:
            continue  # it ended
        assert re.search(r"Max core file size +0 ", limits), f"process {pid} may dump"
        # A collector of dumps is given them whatever the limit says, but not of who is not dumpable; whose files in /proc are root's.
        try:
            resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except PermissionError:
            pass  # then the limit alone is tried
        try:
            os.kill(pid, signal.SIGABRT)
        except ProcessLookupError:
            pass  # it ended with the one before
    server.process.wait(timeout=120)
    time.sleep(0.5)
    assert set(places()) == before, f"core_pattern is {pattern}: {set(places()) - before}"
    for path in places():
        search(str(path), path.read_bytes())


def places():
    for folder in (Path.cwd(), Path("/"), Path(server.folder), Path(server.folder) / "warehouse", Path("/tmp")):
        yield from (path for path in folder.glob("*core*") if path.is_file())


CASES = [what_is_said_and_shown, children_get_nothing, nothing_is_on_disk, a_crash_leaves_no_dump]

if __name__ == "__main__":
    outcome = []
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    with tempfile.TemporaryDirectory(prefix="moat-secrets-") as name, ExitStack() as exits:
        folder = Path(name)
        log, http_port = folder / "server.log", world.identity.free_port()
        try:
            lake = stack.Weed(folder, exits)
            way = Way(lake.weed.s3)
            exits.callback(way.close)
            table, _ = lake.table(TABLE)
            settings = ("log.level=debug", "storage.patience=2s", "catalog.pause=200ms", "storage.cache_disk=64MiB", f"server.http_port={http_port}")
            with stack.served(MOAT, folder, lake, *settings, tables=[table], stderr=str(log)) as (server, olga):
                lake.gateway.tell(endpoint=way.url)
                code = run(CASES, sys.argv[2:])
                server.close = lambda: shutil.rmtree(server.folder, ignore_errors=True) if server.process.poll() is not None else type(server).close(server)
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
