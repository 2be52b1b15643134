#!/usr/bin/env python3
"""Trino's own driver and shell over `moat serve`: suite.py MOAT. Counted as skipped where Java or they are not there (tools/deps interop)."""

import os
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

JARS = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps")) / "trino-clients"
MOAT = sys.argv[1]
FOLDER = tempfile.mkdtemp(prefix="moat-trino-")


def served():
    return WebServer(MOAT, *authority.tls_settings(*CERTIFICATE), setup="CREATE VIEW v AS SELECT 1 AS x, 'a' AS y; GRANT SELECT ON v TO USER amelia")


def the_jdbc_driver():
    with served() as server:
        done = subprocess.run(["java", "-cp", JARS / "trino-jdbc.jar", Path(__file__).parent / "Trino.java", str(server.web_port), PASSWORD, CERTIFICATE[0]],
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


if not JARS.exists() or not shutil.which("java"):
    print("skipped: Trino's driver and shell are not installed")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
CERTIFICATE = authority.certificate(FOLDER, "server")
sys.exit(run([the_jdbc_driver, the_shell], sys.argv[2:]))
