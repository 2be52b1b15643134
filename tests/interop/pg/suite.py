#!/usr/bin/env python3
"""The drivers' own suites of tests over `moat serve`.

suite.py MOAT [--only NAME] [--report FILE] [--show]

Each test that fails is put under a reason (reasons.py). One without a reason fails this program: it is Moat's fault until
somebody has looked. So does a reason that nothing has any more. The last line counts: passed are the suites' tests that pass or fail for a
known reason, failed those without one, skipped what is not installed. --report writes the table that docs/compatibility.md has.
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/wire"), str(Path(__file__).resolve().parent)]
import reasons
from protocol import Server

CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
SUITES = CACHE / "pg-suites"
PYTHON = CACHE / "venv-pg/bin/python"
USER, PASSWORD = "postgres", "pw"

Result = collections.namedtuple("Result", "name state text")  # state: passed, failed, skipped


def environment(server):
    place = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": USER, "PGPASSWORD": PASSWORD, "PGDATABASE": "moat"}
    return {**os.environ, **place, "HOME": server.folder,
            "PSYCOPG2_TESTDB": "moat", "PSYCOPG2_TESTDB_USER": USER, "PSYCOPG2_TESTDB_PASSWORD": PASSWORD, "PSYCOPG2_TESTDB_FAST": "1",
            "PGX_TEST_DATABASE": f"host=127.0.0.1 port={server.port} user={USER} password={PASSWORD} dbname=moat sslmode=disable"}


def pytest(server, folder, tests, *words):
    """Results of a suite that pytest can run, in a copy without the driver's own source: what is installed is tested."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(folder / tests, Path(place, tests))
        report = Path(place, "report.xml")
        subprocess.run([PYTHON, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=30", "--assert=plain", "--tb=native", f"--junitxml={report}", *words, tests],
                       cwd=place, env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=3000, check=False)
        for case in xml.parse(report).getroot().iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            bad = [part for part in case if part.tag in ("failure", "error")]
            if bad:
                yield Result(name, "failed", "\n".join((part.get("message") or "") + "\n" + (part.text or "") for part in bad))
            else:
                yield Result(name, "skipped" if case.find("skipped") is not None else "passed", "")


def asyncpg(server):
    return pytest(server, SUITES / "asyncpg", "tests", "--ignore=tests/test__sourcecode.py", "--ignore=tests/test__environment.py")


def psycopg2(server):
    return pytest(server, SUITES / "psycopg2", "tests")


def pg8000(server):
    return pytest(server, SUITES / "pg8000", "test", "--ignore=test/test_readme.py", "--benchmark-disable")


def pgx_run(server, copy, *words):
    """Each package by itself; tests are named by their functions, and so are their parts."""
    done = subprocess.run(["go", "test", "-mod=vendor", "-json", "-count=1", "-p=1", "-timeout=4m", *words, "./..."], cwd=copy,
                          env={**environment(server), "GOFLAGS": "", "GOPROXY": "off", "HOME": os.environ["HOME"]},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=3000, check=False)
    texts, parents = collections.defaultdict(str), set()
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for event in events:
        if name := event.get("Test"):
            texts[event["Package"], name] += event.get("Output", "")
            parents.update((event["Package"], name.rsplit("/", i)[0]) for i in range(1, name.count("/") + 1))
    for event in events:
        key = event.get("Package"), event.get("Test")
        if key[1] and key not in parents and event["Action"] in ("pass", "fail", "skip"):
            state = {"pass": "passed", "fail": "failed", "skip": "skipped"}[event["Action"]]
            yield Result(f"{key[0].replace('github.com/jackc/pgx/v5', 'pgx')}.{key[1]}", state, texts[key])


def function_of(result):
    return result.name.rpartition(".")[2].partition("/")[0]


def pgx(server):
    """Go's. Its tests run side by side, each with a time of its own: what a busy machine is too slow for is asked again, one after the other."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "pgx")
        shutil.copytree(CACHE / "pgx", copy)
        # Two that fail wait for ever (for a notification; for a connection that they did not give back), and take all after them in
        # their package with them.
        first = list(pgx_run(server, copy, "-skip=TestListenNotifyWhileBusyIsSafe|TestPoolSendBatchBeginTxRollbackAfterQueryError"))
        slow = {function_of(result) for result in first
                if result.state == "failed" and "deadline exceeded" in result.text and not reasons.of("pgx", result.name, result.text)}
        yield from (result for result in first if function_of(result) not in slow)
        if slow:
            print(f"pgx: again, alone, with ten times its own limits of time: {', '.join(sorted(slow))}", flush=True)
            for path in copy.glob("*_test.go"):
                path.write_text(path.read_text().replace("120*time.Second", "1200*time.Second"))
            yield from pgx_run(server, copy, "-parallel=1", "-timeout=25m", f"-run=^({'|'.join(sorted(slow))})$")


RUNS = {
    "asyncpg": (asyncpg, lambda: PYTHON.exists() and (SUITES / "asyncpg").is_dir()),
    "psycopg2": (psycopg2, lambda: PYTHON.exists() and (SUITES / "psycopg2").is_dir()),
    "pg8000": (pg8000, lambda: PYTHON.exists() and (SUITES / "pg8000").is_dir()),
    "pgx": (pgx, lambda: shutil.which("go") and (CACHE / "pgx").is_dir()),
}
ABSENT = {"psycopg": "its source package has no tests", "node-postgres": "its packages have no tests",
          "Npgsql": "NuGet is none of the registries"}


def settle(suite, results, show):
    """Counts of one suite: states, and failures by reason; those without one are printed."""
    states, found, unknown = collections.Counter(), collections.defaultdict(list), []
    for result in results:
        states[result.state] += 1
        if result.state == "failed":
            reason = reasons.of(suite, result.name, result.text)
            if reason:
                found[reason].append(result.name)
            else:
                unknown.append(result)
    for result in unknown:
        lines = [line for line in result.text.splitlines() if line.startswith("E ") or "SQLSTATE" in line or "rror" in line]
        print(f"UNKNOWN {suite} {result.name}: {' | '.join(lines[:3])[:300]}")
        if show:
            print(result.text)
    print(f"{suite}: {dict(states)}, {sum(map(len, found.values()))} for {len(found)} known reasons, {len(unknown)} for none", flush=True)
    return states, found, unknown


def write_report(path, settled):
    lines = ["| suite | passed | fail for a known reason | skipped by itself |", "|---|---|---|---|"]
    for suite, (states, found, _) in settled.items():
        lines.append(f"| {suite} | {states['passed']} | {sum(map(len, found.values()))} | {states['skipped']} |")
    lines += ["", "| suite | reason | tests |", "|---|---|---|"]
    for suite, (_, found, _) in settled.items():
        for reason, names in sorted(found.items(), key=lambda item: -len(item[1])):
            tests = collections.defaultdict(set)
            for name in names:
                # Of a test with parts or parameters its own name; of classes their names alone, else the file.
                group, _, test = re.sub(r"^tests?\.|\[.*|(?<=\.)(Test\w+)/.*", r"\1", name).rpartition(".")
                last = group.split(".")[-1]
                tests[last if last[0].isupper() else group].add(test)
            short = "; ".join(f"{group}: {', '.join(sorted(found))}" for group, found in sorted(tests.items()))
            lines.append(f"| {suite} | {reason} | {len(names)}: {short} |")
    Path(path).write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("moat")
    parser.add_argument("--only", action="append")
    parser.add_argument("--report")
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()

    settled, passed, failed, skipped = {}, 0, 0, 0
    for suite, why in ABSENT.items():
        print(f"skipped {suite}: {why}")
        skipped += 1
    for suite, (run, is_there) in RUNS.items():
        if arguments.only and suite not in arguments.only:
            continue
        if not is_there():
            print(f"skipped {suite}: not installed")
            skipped += 1
            continue
        with Server(arguments.moat, "server.connections_max=200", "login.account_tries=100000", "login.address_tries=100000", setup=f"CREATE USER {USER} PASSWORD '{PASSWORD}'; GRANT ROLE moat_admin TO {USER};") as server:
            settled[suite] = states, found, unknown = settle(suite, run(server), arguments.show)
        passed += states["passed"] + sum(map(len, found.values()))
        failed += len(unknown)
    if arguments.report:
        write_report(arguments.report, settled)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
