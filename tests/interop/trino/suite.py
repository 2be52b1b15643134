#!/usr/bin/env python3
"""Trino's own clients over `moat serve`, of Java (driver and shell), Go and Node: suite.py MOAT. Counted as skipped where they are not there (tools/deps interop)."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/http"))
from door import WebServer
sys.path.insert(0, str(ROOT / "tests/wire"))
import authority
from protocol import PASSWORD, run

CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
JARS = CACHE / "trino-clients"
MOAT = sys.argv[1]
FOLDER = tempfile.mkdtemp(prefix="moat-trino-")


def served():
    return WebServer(MOAT, *authority.tls_settings(*CERTIFICATE), setup="CREATE VIEW v AS SELECT 1 AS x, 'a' AS y; GRANT SELECT ON v TO USER amelia; "
                     f"CREATE USER dana PASSWORD '{PASSWORD}'; GRANT ROLE moat_admin TO dana")


def the_jdbc_driver():
    with served() as server:
        done = subprocess.run(["java", "-cp", JARS / "trino-jdbc.jar", Path(__file__).parent / "Trino.java", str(server.web_port), PASSWORD, CERTIFICATE[0]],
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout == "ok\n", (done.stdout + done.stderr)[-3000:]


def metabases_queries():
    with served() as server:
        with server.connect(user="dana") as client:
            client.query(f"ATTACH '{server.folder}/lake.db' AS lake (TYPE iceberg_local, CREATE true)")
            for statement in ("CREATE SCHEMA lake.sales",
                              "CREATE TABLE lake.sales.orders AS SELECT i AS id, ['north', 'south', 'east'][1 + i % 3] AS region, (i * 1.5)::DECIMAL(12,2) AS amount, "
                              "DATE '2024-01-01' + (i % 60)::INT AS ordered_on, TIMESTAMP '2024-01-01 10:00:00' + to_hours(i) AS at, "
                              "TIMESTAMPTZ '2024-01-01 10:00:00+00' + to_hours(i) AS seen, i % 2 = 0 AS ok, i::DOUBLE AS f FROM range(1000) t(i)",
                              'CREATE TABLE lake.sales."odd ""n""ame" AS SELECT 1 AS "ö ""ü"""', "CREATE TABLE lake.sales.hidden AS SELECT 1 AS x",
                              "GRANT SELECT ON lake.sales.orders TO amelia", 'GRANT SELECT ON lake.sales."odd ""n""ame" TO amelia'):
                client.query(statement)
        done = subprocess.run(["java", "-cp", JARS / "trino-jdbc.jar", Path(__file__).parent / "Metabase.java", str(server.web_port), PASSWORD, CERTIFICATE[0]],
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout == "ok\n", (done.stdout + done.stderr)[-3000:]


def the_shell():
    def shell(server, sql, *options):
        done = subprocess.run(["java", "-jar", JARS / "trino-cli.jar", "--server", f"https://127.0.0.1:{server.web_port}", "--user", "amelia", "--password",
                               "--truststore-path", CERTIFICATE[0], "--catalog", "moat", "--schema", "main", "--execute", sql, *options],
                              capture_output=True, text=True, timeout=120, env={**os.environ, "TRINO_PASSWORD": PASSWORD, "HOME": FOLDER})
        return done.returncode, done.stdout, done.stderr

    with served() as server:
        code, out, err = shell(server, "SELECT x, y, ARRAY[1, 2], TIMESTAMP '2024-01-02 03:04:05' FROM v; SHOW TABLES; DESCRIBE v; USE moat.moat_system; SELECT current_schema")
        assert code == 0, err
        assert out.splitlines() == ['"1","a","[1, 2]","2024-01-02 03:04:05.000000"', '"v"', '"x","integer","",""', '"y","varchar","",""', '"moat_system"'], out
        code, out, err = shell(server, "SELECT nope FROM v")
        assert code != 0 and "nope" in err, (code, out, err)
        code, out, err = shell(server, "SELECT i FROM range(100000) t(i)", "--output-format", "TSV")
        assert code == 0 and len(out.splitlines()) == 100000, err
        code, out, err = shell(server, "SELECT i FROM range(100000) t(i)", "--output-format", "TSV", "--encoding", "json+zstd")
        assert code == 0 and [int(line) for line in out.splitlines()] == list(range(100000)), err


def by_browser(world, command):
    """What it prints, whose person opens the address that it shows and signs in there."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                               env={**os.environ, "HOME": FOLDER})
    lines, opened = [], []
    for line in process.stdout:
        lines.append(line)
        found = re.search(r"https://\S+/oauth2/sign-in/\w+", line)
        if found:
            opened.append(found.group(0))
            done = world.browser().sign_in(found.group(0), "bob")
            assert "signed in" in done.text, done.text
    assert process.wait(60) == 0, "".join(lines)
    assert len(opened) == 1, lines
    return lines


def the_jdbc_driver_by_browser():
    """Its second connection goes without: it has kept the token."""
    with browser.served(MOAT) as world:
        lines = by_browser(world, ["java", "-cp", JARS / "trino-jdbc.jar", Path(__file__).parent / "External.java", str(world.server.web_port), world.certificate])
        assert [line for line in lines if line.startswith("I am")] == ["I am bob 1\n"] * 2, lines


def the_shell_by_browser():
    with browser.served(MOAT) as world:
        lines = by_browser(world, ["java", "-jar", JARS / "trino-cli.jar", "--server", world.url, "--user", "bob", "--truststore-path", world.certificate,
                                   "--external-authentication", "--external-authentication-redirect-handler", "PRINT", "--catalog", "moat", "--schema", "main",
                                   "--execute", "SELECT x, current_user FROM v"])
        assert '"1","bob"\n' in lines, lines


def the_go_client():
    with served() as server:
        done = subprocess.run([go_client(), str(server.web_port), CERTIFICATE[0], PASSWORD], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout == "ok\n", (done.stdout + done.stderr)[-3000:]


def the_go_client_by_browser():
    with browser.served(MOAT) as world:
        lines = by_browser(world, [go_client(), str(world.server.web_port), world.certificate, "browser"])
        assert lines[-1] == "ok\n", lines


def go_client():
    """Built once; the modules are in Go's own cache, by go.sum."""
    program = os.path.join(FOLDER, "go-client")
    if not os.path.exists(program):
        subprocess.run(["go", "build", "-p", "2", "-o", program, "."], cwd=Path(__file__).parent / "go", check=True, timeout=600)
    return program


def the_node_client():
    with served() as server:
        shutil.copy(Path(__file__).parent / "node/client.mjs", FOLDER)
        if not os.path.exists(os.path.join(FOLDER, "node_modules")):
            os.symlink(NODE / "node_modules", os.path.join(FOLDER, "node_modules"))
        done = subprocess.run(["node", "client.mjs", str(server.web_port), CERTIFICATE[0], PASSWORD], cwd=FOLDER, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout == "ok\n", (done.stdout + done.stderr)[-3000:]


if not JARS.exists() or not shutil.which("javac"):  # sources are run
    print("skipped: Trino's driver and shell are not installed")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
CERTIFICATE = authority.certificate(FOLDER, "server")
CASES, MISSING = [the_jdbc_driver, metabases_queries, the_shell], []
HAS_GO, NODE = (CACHE / "trino-go/.complete").exists() and shutil.which("go"), CACHE / "trino-node"
(CASES if HAS_GO else MISSING).append(the_go_client)
(CASES if (NODE / ".complete").exists() and shutil.which("node") else MISSING).append(the_node_client)
BY_BROWSER = [the_jdbc_driver_by_browser, the_shell_by_browser] + [the_go_client_by_browser] * bool(HAS_GO)
try:
    sys.path.insert(0, str(ROOT / "tests/trino"))
    import browser
    if not (browser.identity.CACHE / "oidc-provider").exists():
        raise ImportError("oidc-provider of npm is not here")
    CASES += BY_BROWSER
except ImportError as why:
    print(f"skipped: {why}")
    MISSING += BY_BROWSER
if MISSING:
    print("skipped: " + ", ".join(case.__name__ for case in MISSING))
sys.exit(run(CASES, sys.argv[2:], len(MISSING)))
